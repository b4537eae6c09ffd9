/*
 * A program starts, prints and exits with 0, linked statically and dynamically.
 *
 * test-native: yes
 * test-link: static dynamic
 * test-output: native
 */
#include "test.h"

int main(void)
{
    printf("Hello, world\n");
    return 0;
}
