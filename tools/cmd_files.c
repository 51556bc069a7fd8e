/* SPDX-License-Identifier: MIT
 *
 * pagerctl files: files of which something is mapped, or still to be written, and those that are
 * stuck. pagerctl files --forget OBJECT: lets go of what such a file does not take.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "out.h"

static struct json_object *
file_json(const struct pager_wire_file *f)
{
	struct json_object *object = json_object_new_object();
	char path[sizeof(f->path)];

	out_add_text(object, "path", out_text(path, sizeof(path), f->path, sizeof(f->path)));
#define FIELD(field) out_add_u64(object, #field, f->field)
	FIELD(object_id), FIELD(device_major), FIELD(device_minor), FIELD(inode), FIELD(offset);
	FIELD(size), FIELD(resident), FIELD(dirty), FIELD(dirty_ns), FIELD(late), FIELD(mappings);
	FIELD(uid);
#undef FIELD
	json_object_object_add(object, "failing", json_object_new_boolean(f->is_failing != 0));
	out_add_i64(object, "error", f->error);
	return object;
}

static void
file_print(const struct ctl *ctl, const struct pager_wire_file *f)
{
	char n[4][OUT_NUMBER], path[sizeof(f->path)], file[64];

	snprintf(file, sizeof(file), "%" PRIu32 ":%" PRIu32 ":%" PRIu64, f->device_major,
	    f->device_minor, f->inode);
	printf("%8" PRIu64 " %-18s %8s %8s %8s %8s %7.1f %5" PRIu32 " %-7s %8" PRIu32 " %6" PRIu32
	       "  %s\n",
	    f->object_id, file, out_bytes(ctl, f->offset, n[0]), out_bytes(ctl, f->size, n[1]),
	    out_bytes(ctl, f->resident, n[2]), out_bytes(ctl, f->dirty, n[3]),
	    (double)f->dirty_ns / 1e9, f->late,
	    f->late         ? "stuck"
	    : f->is_failing ? "failing"
			    : "well",
	    f->mappings, f->uid, out_text(path, sizeof(path), f->path, sizeof(f->path)));
}

static void
forgotten_json(struct ctl *ctl, const struct pager_rep_forget_file *f)
{
	struct json_object *object = json_object_new_object();
	char path[sizeof(f->path)];

	out_add_text(object, "path", out_text(path, sizeof(path), f->path, sizeof(f->path)));
#define FIELD(field) out_add_u64(object, #field, f->field)
	FIELD(device_major), FIELD(device_minor), FIELD(inode), FIELD(parts), FIELD(dirty);
	FIELD(late);
#undef FIELD
	out_json(ctl, object);
}

static int
forget(struct ctl *ctl)
{
	struct pager_req_forget_file request = { .object_id = ctl->forget };
	struct pager_rep_forget_file reply;
	struct chan_call call = { CHAN_CALL(FORGET_FILE, &request, &reply) };
	char n[OUT_NUMBER], path[sizeof(reply.path)];
	int r;

	r = ctl_ask(ctl, &call);
	if (r == -ENOENT) {
		fprintf(stderr,
		    "pagerctl: no file has object %" PRIu64 " (any more): see pagerctl files\n",
		    ctl->forget);
		return CTL_FAILED;
	}
	if (r != CTL_OK)
		return ctl_fail(ctl, r, "cannot give up the pages of that file");
	if (ctl->json) {
		forgotten_json(ctl, &reply);
		return CTL_OK;
	}
	printf("giving up %s of %s (device %" PRIu32 ":%" PRIu32 ", inode %" PRIu64
	       "), unwritten\n",
	    out_bytes(ctl, reply.dirty, n),
	    out_text(path, sizeof(path), reply.path, sizeof(reply.path)), reply.device_major,
	    reply.device_minor, reply.inode);
	if (reply.late > 0)
		printf("until %" PRIu32 " writes under way have come back, touches of what is not "
		       "in memory get SIGBUS\n",
		    reply.late);
	return CTL_OK;
}

int
cmd_files(struct ctl *ctl, int argc, char **argv)
{
	struct json_object *array = NULL;
	struct pager_req_files request = { 0 };
	struct pager_rep_files reply;
	struct chan_call call = { CHAN_CALL(FILES, &request, &reply) };

	(void)argc;
	(void)argv;
	if (ctl->forget)
		return forget(ctl);
	call.reply_bytes_min = offsetof(struct pager_rep_files, files);
	if (ctl->json)
		array = json_object_new_array();
	else
		printf("%8s %-18s %8s %8s %8s %8s %7s %5s %-7s %8s %6s  %s\n", "OBJECT",
		    "DEVICE:INODE", "OFFSET", "SIZE", "RESIDENT", "DIRTY", "SECONDS", "LATE",
		    "STATE", "MAPPINGS", "UID", "PATH");
	do {
		int r = ctl_ask(ctl, &call);

		if (r == CTL_OK && (reply.count > PAGER_FILES_PER_REPLY ||
				       call.reply_bytes < call.reply_bytes_min +
							      reply.count * sizeof(reply.files[0])))
			r = -EPROTO;
		if (r != CTL_OK) {
			json_object_put(array);
			return ctl_fail(ctl, r, "cannot list the files");
		}
		for (uint32_t i = 0; i < reply.count; i++) {
			if (ctl->json)
				json_object_array_add(array, file_json(&reply.files[i]));
			else
				file_print(ctl, &reply.files[i]);
		}
		request.cursor = reply.next_cursor;
	} while (request.cursor != 0);
	if (ctl->json)
		out_json(ctl, array);
	return CTL_OK;
}
