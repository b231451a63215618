# frozen_string_literal: true

require 'sinatra/base'
require 'dynoscale_ruby/middleware'

# Answers every request, once it has read it.
class HelloSinatra < Sinatra::Base
  use DynoscaleRuby::Middleware

  %w[get post].each do |verb|
    public_send(verb, '/*') do
      request.body.read
      content_type 'text/plain'
      "hello\n"
    end
  end
end

run HelloSinatra
