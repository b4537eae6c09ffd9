/*
 * From the options that both programs have to ExecConfig and the log.
 */
#include "main/common.h"

#include <stdlib.h>
#include <string.h>

#include "debug/perfmap.h"
#include "util/error.h"
#include "util/log.h"
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

void common_setup_log(const CommonOptions *c)
{
    char *err = NULL;
    if (c->log_items && !strcmp(c->log_items, "help")) {
        log_print_items(stdout);
        exit(0);
    }
    if ((c->log_items && !log_set_items(c->log_items, &err)) ||
        (c->log_filter && !log_set_filter(c->log_filter, &err)) ||
        (c->log_file && !log_set_file(c->log_file, false, &err))) {
        fatal_usage("%s", err);
    }
}

void common_apply(const CommonOptions *c, ExecConfig *x)
{
    const AccelOptions *a = &c->accel;
    x->tb_size = (size_t)(c->tb_size ? c->tb_size : a->tb_size) << 20;
    x->one_insn_per_tb = c->one_insn;
    x->nochain = log_enabled(LOG_NOCHAIN);
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
    if (c->perfmap) {
        x->on_publish = perfmap_add;
        if (!perfmap_open()) {
            warn("cannot write the perf map");
        }
    }
}
