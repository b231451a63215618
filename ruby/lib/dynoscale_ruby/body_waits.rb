# frozen_string_literal: true

module DynoscaleRuby
  # Servers that read a request's body before they call the app. The wait for a slow client is not the
  # queue's: as Puma does it, they say in the env how many ms it was, and the middleware subtracts it.
  # For Passenger, whose core reads the body in another process, there is no telling: false stands for
  # a wait that is unknown, and the request gives no sample.
  module BodyWaits
    KEY = 'puma.request_body_wait'

    class << self
      def now
        Process.clock_gettime(Process::CLOCK_MONOTONIC, :float_millisecond)
      end
    end

    # Of Thin::Request: called with each part that comes.
    module Thin
      def parse(data)
        super.tap do |whole|
          headers_at = (@dynoscale_headers_at ||= BodyWaits.now) if @parser.finished?
          @env[KEY] ||= BodyWaits.now - headers_at if whole
        end
      end
    end

    # Of WEBrick::HTTPRequest: Rack's handler asks for the body when it has made the env.
    module WEBrick
      def meta_vars
        @dynoscale_env = super
      end

      def body(&block)
        started = BodyWaits.now
        super.tap { @dynoscale_env[KEY] ||= BodyWaits.now - started if @dynoscale_env }
      end
    end

    # Of PhusionPassenger::RequestHandler::ThreadHandler.
    module Passenger
      # Bytes that come together with the headers.
      SMALL = 16_384

      def process_request(env, *)
        slow = env.key?('HTTP_TRANSFER_ENCODING') || env['CONTENT_LENGTH'].to_i > SMALL
        env[KEY] = false if slow
        super
      end
    end

    # The class of each server, once the other one is loaded.
    SERVERS = {
      'Thin::Request' => ['Thin::Server', Thin].freeze,
      'WEBrick::HTTPRequest' => ['WEBrick::HTTPRequest', WEBrick].freeze,
      'PhusionPassenger::RequestHandler::ThreadHandler' =>
        ['PhusionPassenger::RequestHandler::ThreadHandler', Passenger].freeze
    }.freeze
  end
end
