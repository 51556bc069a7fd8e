/* SPDX-License-Identifier: MIT
 *
 * pagersim policies: the policies that can be named, with their parameters.
 */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "policy.h"

int
cmd_policies(int argc, char **argv)
{
	if (argc != 1) {
		fputs("usage: pagersim policies\n", stderr);
		return EXIT_USAGE;
	}
	printf("%-12s %s\n", "default", POLICY_DEFAULT);
	for (unsigned i = 0; policy_at(i) != NULL; i++) {
		const struct pol_ops *ops = policy_at(i);

		printf("%-12s %s\n", ops->name, ops->help);
		for (const char *p = ops->params; *p != '\0';) {
			size_t length = strcspn(p, ";");

			printf("%12s   %.*s\n", "", (int)length, p);
			p += length;
			p += strspn(p, "; ");
		}
	}
	return 0;
}
