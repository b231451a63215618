# frozen_string_literal: true

# An app with one path for each kind of answer that Rack knows; what comes through says "whole".
require 'dynoscale_ruby/middleware'

TEXT = { 'content-type' => 'text/plain' }.freeze

STREAM = lambda do |stream|
  %w[wh ole].each { |part| stream.write(part) }
ensure
  stream.close
end

TAKE_OVER = lambda do |env|
  stream = env['rack.hijack'].call || env['rack.hijack_io']
  stream.write("HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nwhole")
  stream.close
  [-1, {}, []]
end

ANSWERS = {
  '/frozen' => ->(_) { [200, TEXT, ['whole'].freeze].freeze },
  '/each' => ->(_) { [200, TEXT.dup, %w[wh ole].each] },
  '/stream' => ->(_) { [200, TEXT, STREAM] }, # Rack 3
  '/partial-hijack' => ->(_) { [200, { 'rack.hijack' => STREAM, 'connection' => 'close' }, []] },
  '/full-hijack' => TAKE_OVER,
  '/not-modified' => ->(_) { [304, {}, []] },
  '/no-content' => ->(_) { [204, {}, []] },
  '/cookies' => ->(_) { [200, { **TEXT, 'set-cookie' => %w[a=1 b=2] }, ['whole']] }, # Rack 3
  '/hints' => lambda do |env|
    env['rack.early_hints']&.call({ 'link' => '</style.css>; rel=preload' })
    [200, TEXT, ['whole']]
  end
}.freeze

use DynoscaleRuby::Middleware

run ->(env) { ANSWERS.fetch(env['PATH_INFO']).call(env) }
