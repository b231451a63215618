/*
 * dynoscaled: hears how long requests and jobs wait, decides how many dynos there should be, has
 * the platform make it so, and explains why.
 */
#include <stdio.h>
#include <string.h>

#include "dynoscale.h"

int main(int count, char **arguments) {
    if (count > 1 && strcmp(arguments[1], "--version") == 0) {
        puts("dynoscaled " DYNOSCALE_VERSION);
        return 0;
    }
    fputs("usage: dynoscaled --version\n", stderr);
    return 2;
}
