/* SPDX-License-Identifier: MIT */
#ifndef FRAME_USE_H
#define FRAME_USE_H

/* The purpose of a frame. The less it asks of memory, the deeper it may go into the reserve; see
 * frames_floor. */
enum frame_use {
	FRAME_FIRST, /* a first touch: more content */
	FRAME_WRITE, /* a write to a stored page: its copy goes, in exchange */
	FRAME_READ,  /* a read of a stored page: its copy stays, and so it can leave again for
			nothing */
	FRAME_STORE, /* the compressor's growth, so that something can leave */
	FRAME_USE_COUNT
};

#endif
