/* SPDX-License-Identifier: MIT
 *
 * pagerctl export: all statistics and all clients' ledgers for Prometheus, printed once, or served
 * over HTTP to this machine.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "clients.h"
#include "export_http.h"

/* Fills `source` but for its clients, and has the text written. */
static int
text_of_statistics(
    struct ctl *ctl, struct export_source *source, enum export_format format, FILE *out)
{
	struct statread stat;
	int64_t *values;
	int r = statread_open(&ctl->chan, &stat);

	if (r < 0)
		return r;
	values = calloc(stat.count, sizeof(*values));
	r = values ? statread_snapshot(&stat, values) : -ENOMEM;
	if (r == 0) {
		source->stat = &stat;
		source->values = values;
		source->page_size = ctl->hello.page_size;
		export_text(out, source, format);
	}
	free(values);
	statread_close(&stat);
	return r;
}

/* => as ctl_ask */
static int
text_make(struct ctl *ctl, enum export_format format, char **ret_text, size_t *ret_bytes)
{
	struct export_source source = { 0 };
	struct pager_wire_client *clients;
	FILE *out;
	int r = clients_fetch(ctl, &clients, &source.client_count);

	if (r != CTL_OK)
		return r;
	source.clients = clients;
	out = open_memstream(ret_text, ret_bytes);
	if (!out) {
		free(clients);
		return -ENOMEM;
	}
	r = text_of_statistics(ctl, &source, format, out);
	if (fclose(out) != 0 && r == 0)
		r = -ENOMEM;
	if (r != 0)
		free(*ret_text);
	free(clients);
	return r;
}

/* For each answer. When the daemon has gone, each answer looks for one that has come. Runs on: the
 * server's thread, which alone uses ctl while it serves. */
static int
serve_make(void *context, enum export_format format, char **ret_text, size_t *ret_bytes)
{
	struct ctl *ctl = context;
	bool was_connected = ctl->connected;
	int r = text_make(ctl, format, ret_text, ret_bytes);

	if (r == CTL_OK)
		return 0;
	ctl_disconnect(ctl);
	if (was_connected && text_make(ctl, format, ret_text, ret_bytes) == CTL_OK)
		return 0;
	ctl_disconnect(ctl);
	return -EIO;
}

static int
serve(struct ctl *ctl)
{
	struct export_address address;
	int r;

	if (export_address_parse(ctl->listen, &address) < 0)
		return ctl_usage(ctl,
		    "cannot listen on \"%s\": say unix:PATH or 127.0.0.1:PORT; only this machine "
		    "is served",
		    ctl->listen);
	r = ctl_connect(ctl);
	if (r != CTL_OK)
		return r;
	r = export_serve(&address, serve_make, ctl);
	return r < 0 ? ctl_fail(ctl, r, "cannot serve on %s", ctl->listen) : CTL_OK;
}

int
cmd_export(struct ctl *ctl, int argc, char **argv)
{
	size_t bytes;
	char *text;
	int r;

	(void)argc;
	(void)argv;
	if (ctl->listen)
		return serve(ctl);
	r = text_make(
	    ctl, ctl->openmetrics ? EXPORT_OPENMETRICS : EXPORT_PROMETHEUS, &text, &bytes);
	if (r != CTL_OK)
		return ctl_fail(ctl, r, "cannot read the statistics and ledgers");
	fwrite(text, 1, bytes, stdout);
	free(text);
	return CTL_OK;
}
