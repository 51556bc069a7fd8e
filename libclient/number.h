/* SPDX-License-Identifier: MIT
 *
 * Numbers of descriptors in a program that does not know of them.
 */
#ifndef NUMBER_H
#define NUMBER_H

/* Moves a descriptor to a number that the program's own descriptors, which take the lowest, do not
 * reach. If there is no such number it stays. */
void number_raise(int *fd);

#endif
