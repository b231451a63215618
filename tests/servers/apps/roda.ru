# frozen_string_literal: true

require 'roda'
require 'dynoscale_ruby/middleware'

# Answers every request, once it has read it.
class HelloRoda < Roda
  use DynoscaleRuby::Middleware

  route do |r|
    r.body&.read
    response['content-type'] = 'text/plain'
    "hello\n"
  end
end

run HelloRoda.freeze.app
