#include "linux-user/own-env.h"

#include <stdlib.h>
#include <string.h>

#include "linux-user/limits.h"
#include "linux-user/ptrace.h"
#include "linux-user/seccomp.h"
#include "util/compiler.h"

static const char *const names[] = { LIMITS_VARIABLE, NAME_VARIABLE, SECCOMP_FD_VARIABLE, TRACEE_VARIABLE };

bool own_env_has(const char *entry)
{
    for (unsigned i = 0; i < array_size(names); i++) {
        size_t n = strlen(names[i]);
        if (!strncmp(entry, names[i], n) && entry[n] == '=') {
            return true;
        }
    }
    return false;
}

void own_env_clear(void)
{
    for (unsigned i = 0; i < array_size(names); i++) {
        unsetenv(names[i]);
    }
}
