# frozen_string_literal: true

module DynoscaleRuby
  # Servers that read a request's body before they call the app. The wait for a slow client is not
  # queue time: like Puma, they store its ms in the env, and the middleware subtracts it.
  #
  # Passenger's core reads the body in another process, and uWSGI before it calls any Ruby, so their
  # wait is unknown: false stands for that, and the request gives no sample.
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

    # For Rainbows::HttpServer, whose models with an event loop may be loaded in a worker only.
    module Rainbows
      class << self
        # Without preload_app the app is loaded in a worker, while that method runs.
        def prepended(_server)
          master = ::Rainbows.server.master_pid
          follow_clients if master && master != Process.pid
        end

        def follow_clients
          ::Rainbows::EvCore.prepend(RainbowsClient)
        end
      end

      private

      def init_worker_process(*)
        super.tap { Rainbows.follow_clients }
      end
    end

    # For Rainbows::EvCore: called with each part that arrives. The call with the last part calls the
    # app.
    module RainbowsClient
      def on_read(data)
        @dynoscale_headers_at = nil if @state == :headers
        @env[KEY] = BodyWaits.now - @dynoscale_headers_at if @dynoscale_headers_at
        super
      end

      private

      def prepare_request_body
        @dynoscale_headers_at = BodyWaits.now
        super
      end
    end

    # For our own middleware under uWSGI, whose plugin for Ruby reads every body first.
    module UWSGI
      def call(env)
        read = env['CONTENT_LENGTH'].to_i.positive? || env.key?('HTTP_TRANSFER_ENCODING')
        env[KEY] = false if read
        super
      end
    end

    # A class => a constant that exists once the server is loaded.
    SERVERS = {
      'Thin::Request' => ['Thin::Server', Thin].freeze,
      'WEBrick::HTTPRequest' => ['WEBrick::HTTPRequest', WEBrick].freeze,
      'Rainbows::HttpServer' => ['Rainbows::HttpServer', Rainbows].freeze,
      'DynoscaleRuby::Middleware' => ['UWSGI', UWSGI].freeze,
      'PhusionPassenger::RequestHandler::ThreadHandler' =>
        ['PhusionPassenger::RequestHandler::ThreadHandler', Passenger].freeze
    }.freeze
  end
end
