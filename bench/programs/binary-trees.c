/*
 * Binary trees built and thrown away node by node: malloc, free, recursion and
 * pointers that miss the cache.
 *
 * bench-class: integer
 * bench-args: 18
 * bench-quick: 14
 */
#include "bench.h"

typedef struct Tree Tree;
struct Tree {
    Tree *left, *right;
};

static Tree *tree_make(int depth)
{
    Tree *tree = malloc(sizeof(*tree));

    if (!tree) {
        abort();
    }
    tree->left = depth ? tree_make(depth - 1) : NULL;
    tree->right = depth ? tree_make(depth - 1) : NULL;
    return tree;
}

static uint64_t tree_count(const Tree *tree)
{
    return tree->left ? 1 + tree_count(tree->left) + tree_count(tree->right) : 1;
}

static void tree_free(Tree *tree)
{
    if (tree->left) {
        tree_free(tree->left);
        tree_free(tree->right);
    }
    free(tree);
}

int main(int argc, char **argv)
{
    int deepest = (int)bench_arg(argc, argv, 1, 13);
    Tree *lasting = tree_make(deepest);
    uint64_t sum = 0;

    for (int depth = 4; depth <= deepest; depth += 4) {
        uint64_t nodes = 0;

        for (int i = 0; i < 1 << (deepest - depth + 4); i++) {
            Tree *tree = tree_make(depth);

            nodes += tree_count(tree);
            tree_free(tree);
        }
        sum = bench_mix(sum, nodes);
    }
    sum = bench_mix(sum, tree_count(lasting));
    tree_free(lasting);
    return bench_report("binary-trees", sum);
}
