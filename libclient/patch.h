/* SPDX-License-Identifier: MIT
 *
 * Replacing a function of another library, for all its callers, those within that library included.
 */
#ifndef PAGER_PATCH_H
#define PAGER_PATCH_H

typedef void patch_function(void);

/* From now on who calls `function` calls `instead`; *ret_original does what it did. Threads may be
 * about to call it, or inside of it. => 0; -ENOSYS: not on this processor; -EOPNOTSUPP: it does not
 * begin with an instruction that can be moved; -ENOMEM: there is no page near it; -EACCES: the
 * system lets nobody change code */
int patch(patch_function *function, patch_function *instead, patch_function **ret_original);

/* A function that is replaced whole: nobody can do what it did. */
struct patch_over {
	patch_function *function, *instead;
};
#define PATCH_OVER_MAX 64
/* The same for several functions, whose beginnings are overwritten. => the process has one thread;
 * each is PATCH_OVER_BYTES long at least; they lie within NEAR_BYTES of each other; 0 or -errno as
 * of patch: none of them has been changed, or (-EACCES) some have */
int patch_over(const struct patch_over *functions, unsigned count);
#define PATCH_OVER_BYTES 12

#endif
