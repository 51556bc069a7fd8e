/* SPDX-License-Identifier: MIT */
#include "control/release.h"

#include "vm/books.h"

bool
release_stops(struct task *task, uint16_t type)
{
	if (likely(!load_acquire(&task->release.is_begun)))
		return false;
	switch (type) {
	case PAGER_MSG_DEALLOCATE:
	case PAGER_MSG_UNWIRE:
	case PAGER_MSG_BEHAVIOR:
	case PAGER_MSG_REGION:
	case PAGER_MSG_PAGE_QUERY:
	case PAGER_MSG_STATISTICS:
	case PAGER_MSG_UPL_CREATE:
	case PAGER_MSG_UPL_FINISH:
	case PAGER_MSG_FORK_BEGIN:
	case PAGER_MSG_FORK_STEP:
	case PAGER_MSG_WINDOW_OPEN:
	case PAGER_MSG_WINDOW_DONE:
	case PAGER_MSG_PORT_CLOSE:
	case PAGER_MSG_COPY_DISCARD:
	case PAGER_MSG_RELEASE:
	case PAGER_MSG_RELEASE_STEP:
		return false;
	default:
		return true;
	}
}
