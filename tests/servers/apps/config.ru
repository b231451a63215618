# frozen_string_literal: true

require 'dynoscale_ruby/middleware'

use DynoscaleRuby::Middleware

run(lambda do |env|
  env['rack.input']&.read
  [200, { 'content-type' => 'text/plain' }, ["hello\n"]]
end)
