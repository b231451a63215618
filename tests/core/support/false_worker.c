#include "false_worker.h"

#include <string.h>

#include "false_clock.h"
#include "false_transport.h"

static ds_settings *settings;

int false_worker_new(void **state) {
    dynoscale_options *o = dynoscale_options_new();
    const char *values[][2] = {
        {"url", "http://service/token"}, {"dyno", "web.1"}, {"app_name", "shop"}};
    for (int i = 0; i < 3; i++)
        dynoscale_options_set(o, dynoscale_setting_find(values[i][0], strlen(values[i][0])),
                              values[i][1], strlen(values[i][1]), DYNOSCALE_SOURCE_CODE);
    settings = ds_settings_new(o, "c");
    dynoscale_options_free(o);
    false_clock_set_wall(NOW_NS);
    false_transport_reset();
    ds_worker *w = ds_worker_new(settings, &false_transport);
    atomic_store(&w->stage, DS_STAGE_RUNNING); /* the test is the thread */
    *state = w;
    return 0;
}

int false_worker_free(void **state) {
    ds_worker *w = *state;
    if (w->connection) w->transport->close(w->connection);
    ds_worker_release(w);
    ds_settings_release(settings);
    return 0;
}

int64_t run_until_idle(ds_worker *w) {
    int64_t wait = 0;
    for (int turns = 0; wait == 0; turns++) {
        assert_true(turns < 1000);
        assert_true(ds_worker_step(w, &wait));
        if (w->in_flight && wait == 100) return wait; /* waits for an answer */
    }
    return wait;
}

void live_for(ds_worker *w, int64_t ms) {
    while (ms > 0) {
        int64_t wait = run_until_idle(w);
        if (wait == DS_NEVER_MS || wait > ms) wait = ms;
        false_clock_advance_ms(wait);
        ms -= wait;
    }
    run_until_idle(w);
}
