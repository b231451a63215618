/* Orders to platforms, and the leases under which they are made. On a real file. */
#include "../core/support/suite.h"

#include <string.h>

#include "store/ledger.h"
#include "support/folder.h"

static char *folder;
static struct store *store;

static int set_up(void **state) {
    (void)state;
    char error[512] = "";
    folder = folder_make();
    store = store_open(folder, STORE_CREATE, error, sizeof error);
    return store ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    store_close(store);
    folder_remove(folder);
    return 0;
}

static bool collect(void *context, const struct act *act) {
    struct act *acts = context;
    while (acts->id) acts++;
    *acts = *act;
    return true;
}

static void acts_are_kept_changed_and_found_by_time(void **state) {
    (void)state;
    struct act one = {.app = 1,
                      .process = "web",
                      .from = 2,
                      .to = 3,
                      .epoch = 4,
                      .ordered_s = 1000,
                      .state = ACT_UNDER_WAY};
    struct act two = one, elsewhere = one, found;
    assert_false(act_last(store, 1, "web", &found));
    two.ordered_s = 1010;
    strcpy(elsewhere.process, "worker");
    assert_true(act_add(store, &one));
    assert_true(act_add(store, &two));
    assert_true(act_add(store, &elsewhere));
    assert_true(act_last(store, 1, "web", &found));
    assert_int_equal(found.id, two.id);
    two.state = ACT_FAILED;
    two.ended_s = 1015;
    two.tries = 3;
    two.to = 4;
    strcpy(two.trouble, "no answer");
    assert_true(act_update(store, &two));
    assert_true(act_last(store, 1, "web", &found));
    assert_memory_equal(&found, &two, sizeof found);
    struct act all[4] = {{0}};
    assert_true(act_each(store, 1, "web", 1000, 1011, collect, all));
    assert_memory_equal(&all[0], &one, sizeof one);
    assert_memory_equal(&all[1], &two, sizeof two);
    assert_int_equal(all[2].id, 0);
    memset(all, 0, sizeof all);
    assert_true(act_each(store, 1, "web", 1000, 1010, collect, all));
    assert_int_equal(all[1].id, 0);
}

static void a_lease_has_one_holder_until_it_expires_or_is_given_back(void **state) {
    (void)state;
    int64_t epoch = 0;
    assert_true(lease_take(store, 0, "a", 1000, 20, &epoch));
    assert_int_equal(epoch, 1);
    assert_false(lease_take(store, 0, "b", 1019, 20, &epoch));
    assert_true(lease_take(store, 0, "a", 1015, 20, &epoch));
    assert_int_equal(epoch, 1);
    assert_false(lease_take(store, 0, "b", 1034, 20, &epoch));
    assert_true(lease_take(store, 0, "b", 1035, 20, &epoch));
    assert_int_equal(epoch, 2);
    assert_false(lease_take(store, 0, "a", 1036, 20, &epoch));
    assert_true(lease_release(store, 0, "a")); /* not its own any more: nothing happens */
    assert_false(lease_take(store, 0, "a", 1036, 20, &epoch));
    assert_true(lease_release(store, 0, "b"));
    assert_true(lease_take(store, 0, "a", 1036, 20, &epoch));
    assert_int_equal(epoch, 3);
    assert_true(lease_release(store, 0, NULL));
    assert_true(lease_take(store, 0, "c", 1036, 20, &epoch));
    assert_int_equal(epoch, 4);
    assert_true(lease_take(store, 1, "b", 1036, 20, &epoch)); /* of another shard */
    assert_int_equal(epoch, 1);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(acts_are_kept_changed_and_found_by_time),
        TEST(a_lease_has_one_holder_until_it_expires_or_is_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
