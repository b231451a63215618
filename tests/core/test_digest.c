/* SHA-256, with the examples of FIPS 180-4 and of its authors. */
#include "support/suite.h"

#include <stdio.h>
#include <string.h>

#include "digest.h"

static const char *hex_of(const void *data, size_t length) {
    static char text[2 * DS_DIGEST_SIZE + 1];
    uint8_t digest[DS_DIGEST_SIZE];
    ds_digest(digest, data, length);
    for (int i = 0; i < DS_DIGEST_SIZE; i++) snprintf(text + 2 * i, 3, "%02x", digest[i]);
    return text;
}

static void digests_are_those_of_the_standard(void **state) {
    (void)state;
    assert_string_equal(hex_of("", 0),
                        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_string_equal(hex_of("abc", 3),
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    const char *long_text = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    assert_string_equal(hex_of(long_text, strlen(long_text)),
                        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    static char million[1000000];
    memset(million, 'a', sizeof million);
    assert_string_equal(hex_of(million, sizeof million),
                        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_those_of_the_standard),
    };
    return cmocka_run_group_tests_name("digest", tests, NULL, NULL);
}
