/* The table of platforms, and what they share. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "platforms/platform.h"

extern const struct platform platform_command, platform_ecs, platform_fly, platform_heroku,
    platform_kubernetes, platform_pull, platform_railway, platform_render, platform_scalingo,
    platform_webhook;

const struct platform *const platforms[] = {&platform_command,
                                            &platform_ecs,
                                            &platform_fly,
                                            &platform_heroku,
                                            &platform_kubernetes,
                                            &platform_pull,
                                            &platform_railway,
                                            &platform_render,
                                            &platform_scalingo,
                                            &platform_webhook,
                                            NULL};

const struct platform *platform_find(const char *kind) {
    for (size_t i = 0; platforms[i]; i++)
        if (strcmp(platforms[i]->kind, kind) == 0) return platforms[i];
    return NULL;
}

struct platform_operator platform_operator = {.heroku_api = "https://api.heroku.com",
                                              .heroku_id = "https://id.heroku.com",
                                              .heroku_read_ms = 10000};

void platform_configure(const struct platform_operator *operator) { platform_operator = *operator; }

const struct platform_formation platform_unknown = {
    .ordered = -1, .up = -1, .booting = -1, .stopping = -1, .releasing = -1, .price_a_month = -1};

struct platform_answer platform_ok(void) {
    return (struct platform_answer){.result = PLATFORM_OK, .limit = -1, .wait_s = -1};
}

struct platform_answer platform_trouble(enum platform_result result, const char *format, ...) {
    struct platform_answer answer = {.result = result, .limit = -1, .wait_s = -1};
    va_list values;
    va_start(values, format);
    vsnprintf(answer.trouble, sizeof answer.trouble, format, values);
    va_end(values);
    return answer;
}
