/*
 * A process whose libraries have more thread-local storage than the agent's thread needs itself;
 * glibc takes it from each thread's stack. A program of its own, since this storage is laid out
 * before a program starts.
 */
#include "support/suite.h"

#include <stdio.h>
#include <string.h>

#include "agent.h"
#include "support/false_clock.h"
#include "support/false_transport.h"

enum { MUCH = 3 * 1024 * 1024, DEEP = 300 * 1024 };

static _Thread_local char much[MUCH];

/* Uses the stack as name lookup and TLS do. */
static const ds_answer *poll_deeply(void *connection) {
    volatile char deep[DEEP];
    for (size_t i = 0; i < DEEP; i += 1024) deep[i] = much[i];
    return deep[0] == 0 ? false_transport.poll(connection) : NULL;
}

static void the_thread_has_enough_stack_beside_static_tls(void **state) {
    (void)state;
    char stamp[32];
    ds_transport transport = false_transport;
    transport.poll = poll_deeply;
    dynoscale_agent *agent;
    dynoscale_options *o = dynoscale_options_new();
    dynoscale_options_set(o, DYNOSCALE_SETTING_URL, "http://service/t", 16, DYNOSCALE_SOURCE_CODE);
    dynoscale_options_set(o, DYNOSCALE_SETTING_DYNO, "web.1", 5, DYNOSCALE_SOURCE_CODE);
    false_clock_set_wall(NOW_NS);
    false_transport_reset();
    assert_int_equal(ds_agent_open(o, "c", &transport, &agent), DYNOSCALE_OK);
    dynoscale_options_free(o);
    dynoscale_agent_prepare(agent);
    int length = snprintf(stamp, sizeof stamp, "%lld", (long long)(NOW_NS / 1000000));
    assert_int_equal(dynoscale_agent_request(agent, stamp, (size_t)length, NULL, 0, 0), 0);
    assert_int_equal(dynoscale_agent_flush(agent, 60000, NULL, NULL), DYNOSCALE_OK);
    assert_int_equal(false_transport_rows(), 1);
    dynoscale_agent_stop(agent, 0, NULL, NULL);
    dynoscale_agent_free(agent);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_thread_has_enough_stack_beside_static_tls),
    };
    return cmocka_run_group_tests_name("static_tls", tests, NULL, NULL);
}
