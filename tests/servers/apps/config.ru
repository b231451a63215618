# frozen_string_literal: true

require 'dynoscale_ruby/middleware'

use DynoscaleRuby::Middleware

run(lambda do |env|
  env['rack.input']&.read
  [200, { 'Content-Type' => 'text/plain' }, ["hello\n"]]
end)
