/*
 * The store: opening, transactions, turns, copies. On real files.
 */
#define _GNU_SOURCE /* asprintf */
#include "../core/support/suite.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/store.h"
#include "support/folder.h"

static char error[512];

static struct store *opened(const char *folder) {
    struct store *store = store_open(folder, STORE_CREATE, error, sizeof error);
    if (!store) fail_msg("%s", error);
    return store;
}

static int set_up(void **state) {
    *state = folder_make();
    return 0;
}

/* What is only of files is tried with files: in a folder below, which has no database. */
static int set_up_files(void **state) {
    char *path = NULL, *folder = folder_make();
    if (folder_is_database() && asprintf(&path, "%s/database", folder) > 0) unlink(path);
    free(path);
    *state = folder;
    return 0;
}

static int tear_down(void **state) {
    folder_remove(*state);
    return 0;
}

static void expect_meta(struct store *store, const char *name, const char *value) {
    char *found = store_meta(store, name);
    if (value) assert_non_null(found), assert_string_equal(found, value);
    else assert_null(found);
    free(found);
}

static void write_bytes(const char *path, const char *bytes) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fputs(bytes, file);
    fclose(file);
}

static char *in_folder(const char *folder, const char *name) {
    char *path;
    assert_true(asprintf(&path, "%s/%s", folder, name) > 0);
    return path;
}

static void data_is_made_for_this_user_alone(void **state) {
    char *folder = in_folder(*state, "a/b"), *path = in_folder(folder, "dynoscaled.db");
    struct store *store = opened(folder);
    struct stat found;
    assert_int_equal(stat(folder, &found), 0);
    assert_int_equal(found.st_mode & 0777, 0700);
    assert_int_equal(stat(path, &found), 0);
    assert_int_equal(found.st_mode & 0777, 0600);
    store_close(store);
    free(path);
    free(folder);
}

static void data_that_is_not_there_is_not_made_unasked(void **state) {
    assert_null(store_open(*state, STORE_EXISTING, error, sizeof error));
    assert_non_null(strstr(error, "there is no data in"));
    assert_non_null(strstr(error, "dynoscaled serve"));
}

static void a_folder_that_cannot_be_made_is_named(void **state) {
    char *file = in_folder(*state, "file"), *folder = in_folder(file, "data");
    write_bytes(file, "");
    assert_null(store_open(folder, STORE_CREATE, error, sizeof error));
    assert_non_null(strstr(error, file));
    free(folder);
    free(file);
}

static void what_is_no_data_is_left_as_it_is(void **state) {
    char *path = in_folder(*state, "dynoscaled.db"), bytes[64] = "";
    write_bytes(path, "this is a file of something else, and rather long for that\n");
    assert_null(store_open(*state, STORE_CREATE, error, sizeof error));
    assert_non_null(strstr(error, "damaged"));
    FILE *file = fopen(path, "rb");
    assert_non_null(fgets(bytes, sizeof bytes, file));
    fclose(file);
    assert_string_equal(bytes, "this is a file of something else, and rather long for that\n");
    free(path);
}

static void data_of_a_newer_version_is_refused(void **state) {
    struct store *store = opened(*state);
    struct query query =
        store_query(store, "INSERT INTO schema_step (number, name) VALUES (999, '999_future')");
    assert_true(query_run(&query));
    store_close(store);
    assert_null(store_open(*state, STORE_EXISTING, error, sizeof error));
    assert_non_null(strstr(error, "newer version"));
    assert_non_null(strstr(error, "999_future"));
}

static void meta_is_kept(void **state) {
    struct store *store = opened(*state);
    expect_meta(store, "public_url", NULL);
    assert_true(store_set_meta(store, "public_url", "https://a.example"));
    assert_true(store_set_meta(store, "public_url", "https://b.example"));
    store_close(store);
    store = opened(*state);
    expect_meta(store, "public_url", "https://b.example");
    store_close(store);
}

static void the_version_of_the_configuration_counts_changes(void **state) {
    struct store *store = opened(*state), *other = opened(*state);
    assert_int_equal(store_config_version(store), 0);
    assert_true(store_begin(store));
    assert_true(store_touch_config(store));
    assert_int_equal(store_config_version(other), 0);
    assert_true(store_commit(store));
    assert_int_equal(store_config_version(other), 1);
    assert_true(store_touch_config(other));
    assert_int_equal(store_config_version(store), 2);
    store_close(other);
    store_close(store);
}

static void what_is_rolled_back_was_never_there(void **state) {
    struct store *store = opened(*state);
    assert_true(store_begin(store));
    assert_true(store_set_meta(store, "a", "1"));
    store_rollback(store);
    store_rollback(store);
    expect_meta(store, "a", NULL);
    assert_true(store_begin(store));
    store_close(store); /* with a transaction that was not committed */
    store = opened(*state);
    assert_true(store_set_meta(store, "a", "2"));
    store_close(store);
}

static void a_transaction_of_which_a_part_failed_is_not_committed(void **state) {
    struct store *store = opened(*state);
    assert_true(store_begin(store));
    assert_true(store_set_meta(store, "a", "1"));
    /* NOT NULL; where statements are only sent, the end tells. */
    assert_true(!store_set_meta(store, "b", NULL) || store_is_shared(store));
    assert_true(!store_set_meta(store, "c", "3") || store_is_shared(store));
    assert_false(store_commit(store));
    const char *why = store_error(store);
    assert_true(strstr(why, "NOT NULL") || strstr(why, "not-null"));
    expect_meta(store, "a", NULL);
    expect_meta(store, "c", NULL);
    assert_true(store_set_meta(store, "a", "4"));
    expect_meta(store, "a", "4");
    store_close(store);
}

static void every_kind_of_value_comes_back(void **state) {
    struct store *store = opened(*state);
    struct query query = store_query(store, "SELECT ?1, ?2, ?3, ?4, ?5, ?6");
    query_int(&query, 1, INT64_MIN);
    query_text(&query, 2, "Grüße");
    query_text_bytes(&query, 3, "abc", 2);
    query_blob(&query, 4, "\0\1", 2);
    query_blob(&query, 5, "", 0);
    query_text(&query, 6, NULL);
    assert_true(query_next(&query));
    size_t length;
    assert_true(column_int(&query, 0) == INT64_MIN);
    assert_string_equal(column_text(&query, 1), "Grüße");
    assert_string_equal(column_text(&query, 2), "ab");
    assert_memory_equal(column_blob(&query, 3, &length), "\0\1", 2);
    assert_int_equal(length, 2);
    assert_false(column_is_null(&query, 4));
    column_blob(&query, 4, &length);
    assert_int_equal(length, 0);
    assert_true(column_is_null(&query, 5));
    assert_false(query_next(&query));
    assert_true(query_end(&query));
    store_close(store);
}

static int64_t rows_by(struct store *store, int depth) {
    static const char sql[] = "SELECT name FROM meta";
    int64_t count = 0;
    struct query query = store_query(store, sql);
    while (query_next(&query)) count += depth > 0 ? rows_by(store, depth - 1) : 1;
    assert_true(query_end(&query));
    return count;
}

static void a_statement_is_usable_while_it_runs(void **state) {
    struct store *store = opened(*state);
    assert_true(store_set_meta(store, "a", "1"));
    assert_true(store_set_meta(store, "b", "2"));
    assert_int_equal(rows_by(store, 3), 16);
    assert_int_equal(rows_by(store, 3), 16);
    store_close(store);
}

static void a_statement_that_is_wrong_says_so(void **state) {
    struct store *store = opened(*state);
    struct query query = store_query(store, "SELECT a FROM nowhere");
    query_int(&query, 1, 1);
    assert_false(query_next(&query));
    assert_false(query_end(&query));
    assert_non_null(strstr(store_error(store), "nowhere"));
    store_close(store);
}

enum { WRITERS = 4, ROUNDS = 50 };

static void *write_often(void *folder) {
    struct store *store = store_open(folder, STORE_EXISTING, error, sizeof error);
    for (int i = 0; store && i < ROUNDS; i++) {
        bool ok = i % 2 ? store_touch_config(store)
                        : store_begin(store) && store_touch_config(store) && store_commit(store);
        if (!ok) break;
    }
    store_close(store);
    return NULL;
}

static void writers_of_threads_and_processes_wait_for_each_other(void **state) {
    struct store *store = opened(*state);
    pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "test_store", "write", *state, NULL);
        _exit(127);
    }
    pthread_t threads[WRITERS];
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_often, *state), 0);
    for (int i = 0; i < WRITERS; i++) pthread_join(threads[i], NULL);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(store_config_version(store), (WRITERS + 1) * ROUNDS);
    store_close(store);
}

static void many_open_new_data_at_once(void **state) {
    pthread_t threads[WRITERS];
    char *folder = in_folder(*state, "new");
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, (void *(*)(void *))opened, folder), 0);
    for (int i = 0; i < WRITERS; i++) {
        void *store;
        pthread_join(threads[i], &store);
        assert_non_null(store);
        store_close(store);
    }
    free(folder);
}

static void a_backup_is_the_data_of_one_moment(void **state) {
    struct store *store = opened(*state), *writer = opened(*state);
    char *file = in_folder(*state, "backup"), *folder = in_folder(*state, "restored");
    assert_true(store_set_meta(store, "a", "before"));
    assert_true(store_begin(writer));
    assert_true(store_set_meta(writer, "a", "not yet"));
    if (!store_backup(store, file, error, sizeof error)) fail_msg("%s", error);
    assert_true(store_commit(writer));
    struct stat found;
    assert_int_equal(stat(file, &found), 0);
    assert_int_equal(found.st_mode & 0777, 0600);

    if (!store_restore(file, folder, false, error, sizeof error)) fail_msg("%s", error);
    struct store *restored = opened(folder);
    expect_meta(restored, "a", "before");
    store_close(restored);
    store_close(writer);
    store_close(store);
    free(folder);
    free(file);
}

static void a_backup_replaces_nothing(void **state) {
    struct store *store = opened(*state);
    char *file = in_folder(*state, "backup"), *nowhere = in_folder(*state, "no/folder");
    write_bytes(file, "");
    assert_false(store_backup(store, file, error, sizeof error));
    assert_non_null(strstr(error, "there already"));
    assert_false(store_backup(store, nowhere, error, sizeof error));
    assert_non_null(strstr(error, nowhere));
    store_close(store);
    free(nowhere);
    free(file);
}

static void data_is_replaced_only_when_asked_and_unused(void **state) {
    char *folder = in_folder(*state, "data"), *file = in_folder(*state, "backup");
    struct store *store = opened(folder);
    assert_true(store_set_meta(store, "a", "old"));
    assert_true(store_backup(store, file, error, sizeof error));
    assert_true(store_set_meta(store, "a", "new"));

    assert_false(store_restore(file, folder, false, error, sizeof error));
    assert_non_null(strstr(error, "--replace"));
    assert_false(store_restore(file, folder, true, error, sizeof error));
    assert_non_null(strstr(error, "in use"));
    expect_meta(store, "a", "new");
    store_close(store);

    if (!store_restore(file, folder, true, error, sizeof error)) fail_msg("%s", error);
    store = opened(folder);
    expect_meta(store, "a", "old");
    store_close(store);
    free(file);
    free(folder);
}

static void damaged_data_is_set_aside_by_a_restore(void **state) {
    char *folder = in_folder(*state, "data"), *file = in_folder(*state, "backup");
    char *path = in_folder(folder, "dynoscaled.db");
    char *aside = in_folder(folder, "dynoscaled.db.damaged");
    struct store *store = opened(folder);
    assert_true(store_set_meta(store, "a", "1"));
    assert_true(store_backup(store, file, error, sizeof error));
    store_close(store);
    write_bytes(path, "not what it was, and long enough to be seen as such");
    if (!store_restore(file, folder, true, error, sizeof error)) fail_msg("%s", error);
    store = opened(folder);
    expect_meta(store, "a", "1");
    store_close(store);
    assert_int_equal(access(aside, F_OK), 0);
    free(aside);
    free(path);
    free(file);
    free(folder);
}

static void what_is_no_backup_is_not_restored(void **state) {
    char *folder = in_folder(*state, "data"), *file = in_folder(*state, "backup");
    char *path = in_folder(folder, "dynoscaled.db");
    assert_false(store_restore(file, folder, false, error, sizeof error));
    write_bytes(file, "some text that is no backup");
    assert_false(store_restore(file, folder, false, error, sizeof error));
    assert_non_null(strstr(error, "no backup"));
    assert_int_not_equal(access(path, F_OK), 0);
    free(path);
    free(file);
    free(folder);
}

int main(int count, char **arguments) {
    if (count == 3 && strcmp(arguments[1], "write") == 0) {
        write_often(arguments[2]);
        return 0;
    }
#define TEST(name)       cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TEST_FILES(name) cmocka_unit_test_setup_teardown(name, set_up_files, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(data_is_made_for_this_user_alone),
        TEST_FILES(data_that_is_not_there_is_not_made_unasked),
        TEST(a_folder_that_cannot_be_made_is_named),
        TEST_FILES(what_is_no_data_is_left_as_it_is),
        TEST(data_of_a_newer_version_is_refused),
        TEST(meta_is_kept),
        TEST(the_version_of_the_configuration_counts_changes),
        TEST(what_is_rolled_back_was_never_there),
        TEST(a_transaction_of_which_a_part_failed_is_not_committed),
        TEST(every_kind_of_value_comes_back),
        TEST(a_statement_is_usable_while_it_runs),
        TEST(a_statement_that_is_wrong_says_so),
        TEST(writers_of_threads_and_processes_wait_for_each_other),
        TEST(many_open_new_data_at_once),
        TEST_FILES(a_backup_is_the_data_of_one_moment),
        TEST_FILES(a_backup_replaces_nothing),
        TEST(data_is_replaced_only_when_asked_and_unused),
        TEST(damaged_data_is_set_aside_by_a_restore),
        TEST(what_is_no_backup_is_not_restored),
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
