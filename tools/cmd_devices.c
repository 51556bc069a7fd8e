/* SPDX-License-Identifier: MIT
 *
 * pagerctl devices: devices, their memory, and who maps them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "out.h"

static const char *
cache_text(uint32_t mode)
{
	static const char *const names[] = { "default", "write-combined", "uncached",
		"write-through", "copy-back" };

	return mode < sizeof(names) / sizeof(names[0]) ? names[mode] : "?";
}

static struct json_object *
device_json(const struct pager_wire_device *v)
{
	struct json_object *object = json_object_new_object(), *pids = json_object_new_array();
	char name[PAGER_DEVICE_NAME];

	out_add_text(object, "name", out_text(name, sizeof(name), v->name, sizeof(v->name)));
	out_add_u64(object, "object_id", v->object_id);
	out_add_u64(object, "size_bytes", v->size);
	out_add_u64(object, "mapped_bytes", v->mapped_bytes);
	out_add_u64(object, "mappings", v->mappings);
	out_add_u64(object, "mappers", v->mapper_count);
	out_add_u64(object, "uid", v->uid);
	out_add_u64(object, "gid", v->gid);
	out_add_u64(object, "mode", v->mode);
	out_add_text(object, "cache", cache_text(v->cache_mode));
	for (uint32_t i = 0; i < v->mapper_count && i < PAGER_MAPPERS_MAX; i++)
		json_object_array_add(pids, json_object_new_int64(v->mappers[i]));
	json_object_object_add(object, "mapper_pids", pids);
	return object;
}

static void
device_print(const struct ctl *ctl, const struct pager_wire_device *v)
{
	char n[2][OUT_NUMBER], name[PAGER_DEVICE_NAME], rights[8] = "-", pids[128] = "";
	size_t used = 0;

	if (v->name[0])
		snprintf(rights, sizeof(rights), "%04" PRIo32, v->mode & 0777);
	for (uint32_t i = 0; i < v->mapper_count && i < PAGER_MAPPERS_MAX; i++)
		used += (size_t)snprintf(
		    pids + used, sizeof(pids) - used, "%s%" PRIu32, i ? "," : "", v->mappers[i]);
	if (v->mapper_count > PAGER_MAPPERS_MAX)
		snprintf(pids + used, sizeof(pids) - used, ",...");
	out_text(name, sizeof(name), v->name[0] ? v->name : "(descriptor)", sizeof(v->name));
	printf("%8" PRIu64 " %8s %8s %5s %6" PRIu32 " %6" PRIu32 " %-14s %8" PRIu32 " %-16s %s\n",
	    v->object_id, out_bytes(ctl, v->size, n[0]), out_bytes(ctl, v->mapped_bytes, n[1]),
	    rights, v->uid, v->gid, cache_text(v->cache_mode), v->mappings, name,
	    pids[0] ? pids : "-");
}

int
cmd_devices(struct ctl *ctl, int argc, char **argv)
{
	struct json_object *array = NULL;
	struct pager_req_devices request = { 0 };
	struct pager_rep_devices reply;
	struct chan_call call = { CHAN_CALL(DEVICES, &request, &reply) };

	(void)argc;
	(void)argv;
	call.reply_bytes_min = offsetof(struct pager_rep_devices, devices);
	if (ctl->json)
		array = json_object_new_array();
	else
		printf("%8s %8s %8s %5s %6s %6s %-14s %8s %-16s %s\n", "OBJECT", "SIZE", "MAPPED",
		    "MODE", "UID", "GID", "CACHE", "MAPPINGS", "NAME", "MAPPED BY");
	do {
		int r = ctl_ask(ctl, &call);

		if (r != CTL_OK) {
			json_object_put(array);
			return ctl_fail(ctl, r, "cannot list the devices");
		}
		if (reply.count > PAGER_DEVICES_PER_REPLY ||
		    call.reply_bytes <
			call.reply_bytes_min + reply.count * sizeof(reply.devices[0])) {
			json_object_put(array);
			return ctl_fail(ctl, -EPROTO, "cannot list the devices");
		}
		for (uint32_t i = 0; i < reply.count; i++) {
			if (ctl->json)
				json_object_array_add(array, device_json(&reply.devices[i]));
			else
				device_print(ctl, &reply.devices[i]);
		}
		request.cursor = reply.next_cursor;
	} while (request.cursor != 0);
	if (ctl->json)
		out_json(ctl, array);
	return CTL_OK;
}
