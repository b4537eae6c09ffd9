/*
 * -accel: from the command line to ExecConfig.
 */
#include "main/accel.h"

#include <stdlib.h>
#include <string.h>

#include "util/strutil.h"

bool accel_parse(AccelOptions *a, const char *value, const SubOptionDef *defs, size_t n_defs,
                 char **err)
{
    char *name = NULL;
    if (!suboption_parse("-accel", value, defs, n_defs, a, &name, err)) {
        return false;
    }
    a->interp = name && !strcmp(name, "interp");
    bool known = !name || a->interp || !strcmp(name, "tcg");
    if (!known) {
        *err = str_format("-accel: '%s' is none of tcg, interp", name);
    }
    free(name);
    return known;
}

void accel_apply(const AccelOptions *a, int64_t tb_size, ExecConfig *x)
{
    x->tb_size = (size_t)(tb_size ? tb_size : a->tb_size) << 20;
    x->interp = a->interp;
    x->translate_serial = a->translate == 1;
    x->strict_llsc = a->llsc == 1;
    x->count = a->count;
    x->hot_threshold = (int32_t)a->hot;
    x->verify_ir = a->verify;
    x->no_ras = !a->ras;
    x->no_inline_jump_cache = !a->jump_cache;
    x->no_pinning = !a->pinning;
    x->opt_level = (unsigned)a->opt;
    x->max_insns = (unsigned)a->max_insns;
    x->host_disabled_features = (a->bmi2 ? 0 : HOST_NO_BMI2) | (a->fma ? 0 : HOST_NO_FMA) |
                                (a->avx ? 0 : HOST_NO_AVX) | (a->lzcnt ? 0 : HOST_NO_LZCNT);
}
