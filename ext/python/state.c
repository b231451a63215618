#include "state.h"

#include "timed.h"

int ds_py_state_init(ds_py_state *state) {
    state->key_request_start = PyUnicode_InternFromString("HTTP_X_REQUEST_START");
    state->key_queue_start = PyUnicode_InternFromString("HTTP_X_QUEUE_START");
    state->key_queue_time = PyUnicode_InternFromString("dynoscale.queue_time_ms");
    state->key_type = PyUnicode_InternFromString("type");
    state->text_http = PyUnicode_InternFromString("http");
    state->key_server_software = PyUnicode_InternFromString("SERVER_SOFTWARE");
    state->key_environ = PyUnicode_InternFromString("wsgi_environ");
    state->name_uvicorn = PyUnicode_InternFromString("uvicorn.server");
    state->name_twisted = PyUnicode_InternFromString("twisted.internet.reactor");
    state->name_headers = PyUnicode_InternFromString("headers");
    state->name_body = PyUnicode_InternFromString("body");
    state->name_entered = PyUnicode_InternFromString("_dynoscale_entered");
    bool made = state->key_request_start != NULL && state->key_queue_start != NULL &&
                state->key_queue_time != NULL && state->key_type != NULL &&
                state->text_http != NULL && state->key_server_software != NULL &&
                state->key_environ != NULL && state->name_uvicorn != NULL &&
                state->name_twisted != NULL && state->name_headers != NULL &&
                state->name_body != NULL && state->name_entered != NULL;
    if (!made) return -1;
    return ds_py_entry_points_init(&state->entry_points, state->key_request_start,
                                   state->key_queue_start);
}

int ds_py_state_traverse(ds_py_state *state, visitproc visit, void *arg) {
    Py_VISIT(state->options_type);
    Py_VISIT(state->timed_type);
    return ds_py_entry_points_traverse(&state->entry_points, visit, arg);
}

/* Afterwards the agent is off. Wrappers that outlive the module only call their apps. */
void ds_py_state_clear(ds_py_state *state) {
    ds_py_slot_replace(&state->slot, NULL);
    atomic_store(&state->decided, true);
    ds_py_entry_points_clear(&state->entry_points);
    Py_CLEAR(state->key_request_start);
    Py_CLEAR(state->key_queue_start);
    Py_CLEAR(state->key_queue_time);
    Py_CLEAR(state->key_type);
    Py_CLEAR(state->text_http);
    Py_CLEAR(state->key_server_software);
    Py_CLEAR(state->key_environ);
    Py_CLEAR(state->name_uvicorn);
    Py_CLEAR(state->name_twisted);
    Py_CLEAR(state->name_headers);
    Py_CLEAR(state->name_body);
    Py_CLEAR(state->name_entered);
    Py_CLEAR(state->options_type);
    ds_py_timed_clear(state);
}

int ds_py_decide(ds_py_state *state) {
    int result = ds_py_call_agent("ensure_open", NULL);
    /* If even that failed (at the interpreter's end) the agent stays off. */
    atomic_store(&state->decided, true);
    return result;
}

void ds_py_record(ds_py_state *state, PyObject *start, PyObject *queue_start,
                  int64_t *queue_time_ms) {
    ds_py_text start_text = ds_py_text_of(start), queue_start_text = ds_py_text_of(queue_start);
    ds_py_reader reader = ds_py_slot_enter(&state->slot);
    *queue_time_ms = dynoscale_agent_request(reader.agent, start_text.data, start_text.length,
                                             queue_start_text.data, queue_start_text.length, 0);
    ds_py_slot_leave(&reader);
}
