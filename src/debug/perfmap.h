/*
 * /tmp/perf-PID.map: names for generated code that `perf report` understands.
 */
#ifndef BRAID_PERFMAP_H
#define BRAID_PERFMAP_H

#include <stdbool.h>

struct TranslationBlock;

bool perfmap_open(void);
/* ExecConfig.on_publish.  Any vCPU thread. */
void perfmap_add(const struct TranslationBlock *tb);

#endif
