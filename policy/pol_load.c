/* SPDX-License-Identifier: MIT
 *
 * The one file here that includes dlfcn.h. Runs on: the main thread at start, and the thread that
 * switches policies; never two threads at once.
 */
#include "pol_load.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { LOADED_MAX = 16 };

/* Copies of loaded policies, with the functions filled in that were left out. A place is never used
 * again, because a running policy keeps its pointer. */
static struct {
	void *object;
	struct pol_ops ops;
} pol_loaded[LOADED_MAX];

static void
pol_no_resize(void *mem, uint32_t nframes)
{
}

static void
pol_no_stats(const void *mem, struct pol_stats *ret)
{
	*ret = (struct pol_stats){ 0 };
}

static const char *
pol_no_check(const void *mem)
{
	return NULL;
}

static bool
pol_ops_complete(const struct pol_ops *ops)
{
	return ops->name != NULL && ops->help != NULL && ops->params != NULL &&
	       ops->footprint != NULL && ops->init != NULL && ops->fault != NULL &&
	       ops->soft != NULL && ops->forget != NULL && ops->select != NULL && ops->done != NULL;
}

static const struct pol_ops *
pol_keep(void *object, const struct pol_ops *ops)
{
	for (unsigned i = 0; i < LOADED_MAX; i++) {
		struct pol_ops *kept = &pol_loaded[i].ops;

		if (pol_loaded[i].object == object) {
			dlclose(object); /* drops this reference; the first one stays */
			return kept;
		}
		if (pol_loaded[i].object != NULL)
			continue;
		pol_loaded[i].object = object;
		*kept = *ops;
		kept->resize = ops->resize != NULL ? ops->resize : pol_no_resize;
		kept->stats = ops->stats != NULL ? ops->stats : pol_no_stats;
		kept->check = ops->check != NULL ? ops->check : pol_no_check;
		return kept;
	}
	return NULL;
}

int
policy_load(const char *path, const struct pol_ops **ret, char *why, size_t why_bytes)
{
	void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	const struct pol_ops *ops;
	int error = -ENOEXEC;

	if (object == NULL) {
		snprintf(why, why_bytes, "%s", dlerror());
		return -ENOENT;
	}
	ops = dlsym(object, "pagerd_policy");
	if (ops == NULL) {
		snprintf(why, why_bytes, "%s: no symbol pagerd_policy", path);
	} else if (ops->abi != POLICY_ABI) {
		snprintf(why, why_bytes, "%s: policy ABI %u, this program has %u", path, ops->abi,
		    POLICY_ABI);
	} else if (!pol_ops_complete(ops)) {
		snprintf(why, why_bytes, "%s: a required member of struct pol_ops is NULL", path);
	} else if (policy_find(ops->name) != NULL) {
		snprintf(why, why_bytes, "%s: there is a policy \"%s\" already", path, ops->name);
		error = -EEXIST;
	} else {
		ops = pol_keep(object, ops);
		if (ops != NULL) {
			*ret = ops;
			return 0;
		}
		snprintf(why, why_bytes, "%s: %d policies have been loaded", path, LOADED_MAX);
		error = -ENFILE;
	}
	dlclose(object);
	return error;
}
