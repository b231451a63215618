# frozen_string_literal: true

module DynoscaleRuby
  # Servers that read a request's body before they call the app. The wait for a slow client is not
  # queue time: like Puma, they store its ms in the env, and the middleware subtracts it.
  #
  # Passenger's core reads the body in another process, so its wait is unknown: false stands for
  # that, and the request gives no sample.
  module BodyWaits
    KEY = 'puma.request_body_wait'

    class << self
      def now
        Process.clock_gettime(Process::CLOCK_MONOTONIC, :float_millisecond)
      end
    end

    # For Thin::Request: called with each part that arrives.
    module Thin
      def parse(data)
        super.tap do |whole|
          headers_at = (@dynoscale_headers_at ||= BodyWaits.now) if @parser.finished?
          @env[KEY] ||= BodyWaits.now - headers_at if whole
        end
      end
    end

    # For WEBrick::HTTPRequest: Rack's handler asks for the body after it has made the env.
    module WEBrick
      def meta_vars
        @dynoscale_env = super
      end

      def body(&block)
        started = BodyWaits.now
        super.tap { @dynoscale_env[KEY] ||= BodyWaits.now - started if @dynoscale_env }
      end
    end

    # For PhusionPassenger::RequestHandler::ThreadHandler.
    module Passenger
      # Bytes that arrive together with the headers.
      SMALL = 16_384

      def process_request(env, *)
        slow = env.key?('HTTP_TRANSFER_ENCODING') || env['CONTENT_LENGTH'].to_i > SMALL
        env[KEY] = false if slow
        super
      end
    end

    # A server's class => a constant that exists once the class is loaded.
    SERVERS = {
      'Thin::Request' => ['Thin::Server', Thin].freeze,
      'WEBrick::HTTPRequest' => ['WEBrick::HTTPRequest', WEBrick].freeze,
      'PhusionPassenger::RequestHandler::ThreadHandler' =>
        ['PhusionPassenger::RequestHandler::ThreadHandler', Passenger].freeze
    }.freeze
  end
end
