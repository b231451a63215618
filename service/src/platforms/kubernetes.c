/*
 * Kubernetes: a Deployment or StatefulSet is a process type, its replicas are the dynos.
 *
 *     GET   /apis/apps/v1/namespaces/NS/deployments/NAME          spec.replicas, and who is ready
 *     GET   /apis/apps/v1/namespaces/NS/deployments/NAME/scale    spec.replicas, resourceVersion
 *     PATCH .../scale  {"metadata":{"resourceVersion":"7"},"spec":{"replicas":3}}  (merge patch)
 *
 * From https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/deployment-v1/ and
 * .../common-definitions/status/. The version is sent so that a number which somebody else sets at
 * the same time is not overwritten: on a conflict (409) the scale is read again. If the number is
 * as before (the status alone changed) the patch is sent again, at most 3 times; else LOCKED, and
 * the next tick decides anew.
 *
 * FAILED: 408, 5xx, no answer. BUSY: 429, after Retry-After. LOCKED: conflicts that do not end.
 * REFUSED: 401, 403 (RBAC), 404, 422 and any other 4xx. Nothing tells a limit: pods beyond what a
 * quota or the nodes allow stay unscheduled, and are `booting`.
 *
 * Settings, all may be left out:
 *     server      https://HOST:PORT; without it, the cluster that the service runs in, as its own
 *                 service account (/var/run/secrets/kubernetes.io/serviceaccount, or the folder
 *                 $DYNOSCALED_KUBERNETES_ACCOUNT), read for each call since its token is renewed
 *     ca          certificates (PEM) that the server's must come from; else the system's
 *     namespace   else the service account's own, or "default"
 *     processes   {"web": "shop-web", "queue": "statefulset/queue"}; else the process type's name
 * Secret: a service account's token, for `server`.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platforms/rest.h"

#define ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount"
enum { LONGEST_FILE = 65536, TRIES = 3 };

static bool kubernetes_check(const json_t *settings, const char *secret, char *error, size_t size) {
    static const char *const known[] = {"server", "ca", "namespace", NULL};
    if (!rest_check(settings, known, error, size)) return false;
    bool server = json_object_get(settings, "server") != NULL;
    const char *ca = json_string_value(json_object_get(settings, "ca"));
    if (ca && (!server || !strstr(ca, "-----BEGIN CERTIFICATE-----"))) {
        snprintf(error, size,
                 server ? "ca: must hold certificates as PEM"
                        : "ca: is for a server that is named; say `server` too");
        return false;
    }
    if (secret && !server) {
        snprintf(error, size,
                 "server: must be given with a token; without both, the service's own "
                 "account in its cluster is used");
        return false;
    }
    return !secret || rest_check_secret(secret, "a service account's token", error, size);
}

/* ---- Which cluster, and as whom ----------------------------------------------------------------
 */

struct cluster {
    char server[512], name_space[256], what[320];
    const char *plural; /* "deployments" */
    const char *object;
    char *token, *authority; /* read from files; NULL: from the settings */
};

/* Reads a small file of the service account, without blanks at its end; NULL: it can't be read. */
static char *read_account(const char *name) {
    char path[512];
    const char *folder = getenv("DYNOSCALED_KUBERNETES_ACCOUNT");
    snprintf(path, sizeof path, "%s/%s", folder && *folder ? folder : ACCOUNT, name);
    FILE *file = fopen(path, "re");
    char *text = file ? calloc(1, LONGEST_FILE) : NULL;
    if (text) {
        size_t length = fread(text, 1, LONGEST_FILE - 1, file);
        while (length > 0 && (unsigned char)text[length - 1] <= ' ') text[--length] = '\0';
    }
    if (file) fclose(file);
    return text;
}

static void leave(struct cluster *cluster) {
    if (cluster->token) sodium_memzero(cluster->token, strlen(cluster->token));
    free(cluster->token);
    free(cluster->authority);
}

static struct platform_answer find_own(struct cluster *cluster) {
    const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
    cluster->token = read_account("token");
    cluster->authority = read_account("ca.crt");
    char *name_space = read_account("namespace");
    if (name_space && rest_is_name(name_space))
        snprintf(cluster->name_space, sizeof cluster->name_space, "%s", name_space);
    free(name_space);
    if (!host || !port || !cluster->token || !cluster->authority)
        return platform_trouble(PLATFORM_REFUSED,
                                "the service does not run in a Kubernetes cluster with a service "
                                "account: set the server and a token");
    snprintf(cluster->server, sizeof cluster->server,
             strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host, port);
    return platform_ok();
}

/* "statefulset/queue", "deployment/web", "web". */
static bool find_object(struct cluster *cluster, const struct platform_app *app,
                        const char *process) {
    const char *name = rest_process(app, process, process),
               *slash = name ? strchr(name, '/') : NULL;
    bool set = slash && (strncmp(name, "statefulset/", 12) == 0 || strncmp(name, "sts/", 4) == 0);
    bool deployment =
        !slash || strncmp(name, "deployment/", 11) == 0 || strncmp(name, "deploy/", 7) == 0;
    if (!name || (!set && !deployment)) return false;
    cluster->plural = set ? "statefulsets" : "deployments";
    cluster->object = slash ? slash + 1 : name;
    return true;
}

static struct platform_answer find_cluster(struct cluster *cluster, struct rest_call *call,
                                           const struct platform_app *app, const char *process) {
    struct platform_answer answer = platform_ok();
    const char *server = rest_setting(app, "server", NULL);
    *cluster = (struct cluster){.name_space = "default"};
    *call = rest_begin(app, "Kubernetes");
    if (server) snprintf(cluster->server, sizeof cluster->server, "%s", server);
    else answer = find_own(cluster);
    const char *name_space = rest_setting(app, "namespace", NULL);
    if (name_space) snprintf(cluster->name_space, sizeof cluster->name_space, "%s", name_space);
    if (!find_object(cluster, app, process))
        return rest_no_process(app, process, "the Deployment or StatefulSet");
    snprintf(cluster->what, sizeof cluster->what, "%.*s %.120s of %.120s",
             (int)strlen(cluster->plural) - 1, cluster->plural, cluster->object,
             cluster->name_space);
    call->what = cluster->what;
    call->bearer = server ? app->secret : cluster->token;
    call->authority = server ? rest_setting(app, "ca", NULL) : cluster->authority;
    return answer;
}

static void put_url(char url[REST_URL], const struct cluster *cluster, const char *end) {
    snprintf(url, REST_URL, "%.400s/apis/apps/v1/namespaces/%.253s/%s/%.253s%s", cluster->server,
             cluster->name_space, cluster->plural, cluster->object, end);
}

/* ---- Reading ----------------------------------------------------------------------------------
 */

/* Whether pods of an earlier template or revision still run. */
static bool is_rolling(const json_t *status, int replicas) {
    const char *current = json_string_value(json_object_get(status, "currentRevision"));
    const char *update = json_string_value(json_object_get(status, "updateRevision"));
    if (current && update) return strcmp(current, update) != 0;
    int updated = rest_count(json_object_get(status, "updatedReplicas"));
    return replicas > (updated > 0 ? updated : 0);
}

/* Kubernetes leaves out fields of a status that are 0. */
static int or_zero(const json_t *json) { return json ? rest_count(json) : 0; }

static struct platform_answer kubernetes_read(const struct platform_app *app, const char *process,
                                              struct platform_formation *formation) {
    struct cluster cluster;
    struct rest_call call;
    struct rest_answer got = {0};
    char url[REST_URL];
    *formation = platform_unknown;
    struct platform_answer answer = find_cluster(&cluster, &call, app, process);
    if (answer.result == PLATFORM_OK) {
        put_url(url, &cluster, "");
        call.method = "GET", call.url = url;
        rest_call(&call, &got);
        answer = got.answer;
    }
    if (answer.result == PLATFORM_OK) {
        const json_t *status = json_object_get(got.json, "status");
        int replicas = or_zero(json_object_get(status, "replicas"));
        formation->ordered =
            rest_count(json_object_get(json_object_get(got.json, "spec"), "replicas"));
        formation->up = or_zero(json_object_get(status, "readyReplicas"));
        if (replicas >= 0 && formation->up >= 0)
            formation->booting = replicas > formation->up ? replicas - formation->up : 0;
        formation->releasing = is_rolling(status, replicas);
        if (formation->ordered < 0) answer = rest_not_understood(&call);
    }
    rest_free(&got);
    leave(&cluster);
    return answer;
}

/* ---- Setting ----------------------------------------------------------------------------------
 */

static struct platform_answer patch(struct rest_call *call, const char *version, int dynos) {
    struct rest_answer got;
    json_t *body = json_pack("{s:{s:s}, s:{s:i}}", "metadata", "resourceVersion", version, "spec",
                             "replicas", dynos);
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    if (!text) return platform_trouble(PLATFORM_FAILED, "no memory to ask Kubernetes");
    call->method = "PATCH", call->body = text, call->media_type = "application/merge-patch+json";
    rest_call(call, &got);
    call->body = NULL;
    if (got.answer.result == PLATFORM_OK) {
        const json_t *replicas = json_object_get(json_object_get(got.json, "spec"), "replicas");
        got.answer = rest_confirm(call, got.json ? or_zero(replicas) : -1, dynos);
    }
    rest_free(&got);
    free(text);
    return got.answer;
}

/* Reads the scale once and patches it once. *before: the number at the first reading. *again: only
 * the version had changed. */
static struct platform_answer try_once(struct rest_call *call, int dynos, int *before,
                                       bool *again) {
    struct rest_answer got;
    *again = false;
    call->method = "GET";
    rest_call(call, &got);
    struct platform_answer answer = got.answer;
    if (answer.result == PLATFORM_OK) {
        const json_t *metadata = json_object_get(got.json, "metadata");
        const char *version = json_string_value(json_object_get(metadata, "resourceVersion"));
        /* In a scale, too, a 0 may be left out. */
        int now = or_zero(json_object_get(json_object_get(got.json, "spec"), "replicas"));
        if (!version || now < 0) answer = rest_not_understood(call);
        else if (*before >= 0 && now != *before && now != dynos)
            answer = platform_trouble(PLATFORM_LOCKED,
                                      "somebody else set %s from %d to %d replicas meanwhile",
                                      call->what, *before, now);
        else if (now != dynos) {
            *before = now;
            answer = patch(call, version, dynos);
            *again = answer.result == PLATFORM_LOCKED;
        }
    }
    rest_free(&got);
    return answer;
}

static struct platform_answer kubernetes_set(const struct platform_app *app, const char *process,
                                             int dynos, const char *reason) {
    struct cluster cluster;
    struct rest_call call;
    char url[REST_URL];
    int before = -1;
    (void)reason;
    struct platform_answer answer = find_cluster(&cluster, &call, app, process);
    if (answer.result == PLATFORM_OK) {
        put_url(url, &cluster, "/scale");
        call.url = url;
        bool again = true;
        for (int i = 0; i < TRIES && again; i++) answer = try_once(&call, dynos, &before, &again);
    }
    leave(&cluster);
    return answer;
}

const struct platform platform_kubernetes = {.kind = "kubernetes",
                                             .local_only = false,
                                             .read_every_s = 10,
                                             .check = kubernetes_check,
                                             .read = kubernetes_read,
                                             .set = kubernetes_set};
