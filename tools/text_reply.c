/* SPDX-License-Identifier: MIT
 *
 * Requests with a text, answered by a text: debug and policy.
 */
#include "text_reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "out.h"

void
text_reply_print(const struct ctl *ctl, const char *text, size_t text_size)
{
	char safe[8192];
	struct json_object *object;

	out_lines(safe, sizeof(safe), text, text_size);
	if (ctl->json) {
		object = json_object_new_object();
		out_add_text(object, "text", safe);
		out_json(ctl, object);
	} else if (safe[0] != '\0') {
		printf("%s%s", safe, safe[strlen(safe) - 1] == '\n' ? "" : "\n");
	}
}

int
text_reply_argument(const struct ctl *ctl, char *field, size_t field_size, const char *argument)
{
	size_t length = strlen(argument);

	if (length >= field_size)
		return ctl_usage(ctl, "\"%.20s...\" is too long", argument);
	memcpy(field, argument, length + 1);
	return CTL_OK;
}
