/* As many dynos as a person ordered, and never another number: Heroku's `ps:scale web=N`. */
#include "../method.h"
#include "../options.h"

int method_static(int now, int ordered, int up) {
    (void)now, (void)ordered, (void)up;
    return option_int("n", 16);
}
