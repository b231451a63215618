# frozen_string_literal: true

# A request as puma hands it to an app.
module RackEnv
  # The app.
  class App
    ANSWER = [200, { 'content-type' => 'text/plain' }.freeze, ['hello'].freeze].freeze

    def call(_env)
      ANSWER
    end
  end

  SERVER = {
    'rack.version' => [1, 6], 'rack.errors' => $stderr, 'rack.multithread' => true,
    'rack.multiprocess' => false, 'rack.run_once' => false, 'rack.url_scheme' => 'http',
    'SCRIPT_NAME' => '', 'QUERY_STRING' => '', 'SERVER_PROTOCOL' => 'HTTP/1.1',
    'SERVER_SOFTWARE' => 'puma', 'GATEWAY_INTERFACE' => 'CGI/1.2', 'REQUEST_METHOD' => 'GET',
    'REQUEST_PATH' => '/', 'REQUEST_URI' => '/', 'SERVER_NAME' => 'localhost',
    'SERVER_PORT' => '80', 'PATH_INFO' => '/', 'REMOTE_ADDR' => '127.0.0.1',
    'rack.hijack?' => true, 'puma.socket' => nil, 'rack.input' => nil, 'rack.after_reply' => []
  }.freeze

  HEADERS = {
    'HOST' => 'example.com', 'CONNECTION' => 'close', 'USER_AGENT' => 'Mozilla/5.0',
    'ACCEPT' => 'text/html,application/xhtml+xml', 'ACCEPT_ENCODING' => 'gzip, deflate',
    'ACCEPT_LANGUAGE' => 'en', 'COOKIE' => 'session=0123456789abcdef',
    'X_REQUEST_ID' => '01234567-89ab-cdef', 'X_FORWARDED_FOR' => '192.0.2.1',
    'X_FORWARDED_PROTO' => 'https', 'X_FORWARDED_PORT' => '443', 'VIA' => '1.1 vegur'
  }.freeze

  # The one String of this text: Puma, like each server that does not freeze its keys, lets the Hash
  # intern them.
  STAMP = -'HTTP_X_REQUEST_START'.b

  # So many that the middleware, which keeps the last ones, has forgotten each before it comes again.
  STAMPS = Array.new(1024) { ((Time.now.to_f * 1000).to_i - 20).to_s.b }.freeze

  # An env that was stamped 20 ms ago. Before it is used again it must get another of STAMPS, as each
  # request of a server has its own.
  def self.fresh
    env = SERVER.dup
    HEADERS.each { |name, value| env["HTTP_#{name}".b] = value.b }
    env[STAMP] = ((Time.now.to_f * 1000).to_i - 20).to_s.b
    env['puma.request_body_wait'] = 0
    env
  end
end
