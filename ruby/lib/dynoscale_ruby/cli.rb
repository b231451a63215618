# frozen_string_literal: true

require 'optparse'
require_relative 'version'
require_relative 'settings'

module DynoscaleRuby
  # The command line, `bundle exec dynoscale`. Only reads arguments and prints: the checks and texts
  # are the core's. Loads neither the app nor the rest of the gem.
  class CLI
    TEXTS = Doctor::TEXTS
    COLOURS = { 'ok' => 32, 'warn' => 33, 'fail' => 31, 'skip' => 2 }.freeze
    SEEN_BY_THE_APP = <<~TEXT
      In the app, puts DynoscaleRuby.settings shows the settings that it has; in Rails:
      rails runner 'puts DynoscaleRuby.settings'
    TEXT
    LONGEST_TIMEOUT = 60
    INTERRUPTED = 130 # as in a shell: 128 + SIGINT

    def initialize(out: $stdout, err: $stderr)
      @out = out
      @err = err
      @timeout = 0
    end

    # Returns the exit status: 0 all is well, 1 something to mend, 2 wrong usage.
    def run(arguments)
      catch(:status) do
        read(arguments)
        examine
      end
    rescue OptionParser::ParseError => e
      refuse(e.message)
    rescue Interrupt
      INTERRUPTED
    rescue Errno::EPIPE # the reader has closed the pipe
      1
    end

    private

    # ---- Arguments ----

    def read(arguments)
      @parser = program_options
      command, *rest = @parser.order(arguments)
      give_up('a command is needed') unless command
      give_up("there is no command #{command.inspect}") unless command == 'doctor'

      @parser = doctor_options
      rest = @parser.parse(rest)
      give_up("#{rest.first.inspect} is one argument too many") unless rest.empty?
    end

    def refuse(message)
      @err.puts "#{@parser.program_name}: #{message}; see #{@parser.program_name} --help"
      2
    end

    def give_up(message)
      throw :status, refuse(message)
    end

    def say(text)
      @out.puts text
      throw :status, 0
    end

    def program_options
      options('dynoscale') do |parser|
        parser.banner = "usage: dynoscale [--help] [--version] COMMAND\n\n#{TEXTS[:about]}\n\n" \
                        "commands:\n    doctor    #{TEXTS[:doctor]}\n\noptions:"
        parser.on('--version', 'show the version') { say "dynoscale_ruby #{VERSION}" }
      end
    end

    def doctor_options
      options('dynoscale doctor', SEEN_BY_THE_APP, '') do |parser|
        parser.banner = "usage: dynoscale doctor [--url URL] [--timeout SECONDS] [--json]\n\n" \
                        "#{TEXTS[:details]}\noptions:"
        parser.on('--url URL', *lines(TEXTS[:url])) { |url| @url = url }
        parser.on('--timeout SECONDS', Float, *lines(TEXTS[:timeout])) { |given| limit(given) }
        parser.on('--json', TEXTS[:json]) { @json = true }
      end
    end

    def options(name, *more)
      OptionParser.new do |parser|
        parser.program_name = name
        parser.require_exact = true
        yield parser
        parser.on('-h', '--help', 'show this') { say parser.help }
        ['', *more, TEXTS[:settings]].each { |text| parser.separator(text) }
      end
    end

    # Wraps the texts beside the options.
    def lines(text)
      text.scan(/\S.{0,41}(?= |\z)/)
    end

    def limit(seconds)
      unless seconds.positive? && seconds <= LONGEST_TIMEOUT
        raise OptionParser::InvalidArgument, "#{seconds} is not from 0 to #{LONGEST_TIMEOUT} s"
      end

      @timeout = (seconds * 1000).ceil
    end

    # ---- Findings ----

    def examine
      runtime = "#{RUBY_ENGINE == 'ruby' ? 'Ruby' : RUBY_ENGINE} #{RUBY_VERSION}"
      begin
        @doctor = Doctor.new(Settings.new, runtime, @url, @timeout)
      rescue ArgumentError => e # the address
        give_up(e.message)
      end
      @json ? print_json : print_lines
      @out.flush
      @doctor.verdict.first ? 0 : 1
    end

    def print_lines
      while (finding = @doctor.next)
        check, health, text, remedy = finding
        @out.puts "#{shown(health)}#{check.ljust(11)} #{text}"
        @out.puts "#{' ' * 17} to do: #{remedy}" unless remedy.empty?
        @out.flush
      end
      @out.puts @doctor.verdict.last
    end

    def shown(health)
      word = health.ljust(6)
      coloured? ? "\e[#{COLOURS[health]}m#{word}\e[0m" : word
    end

    def coloured?
      @out.tty? && ENV['NO_COLOR'].to_s.empty? && ENV.fetch('TERM', 'dumb') != 'dumb'
    end

    def print_json
      require 'json'
      findings = []
      while (finding = @doctor.next)
        findings << json_of(*finding)
      end
      well, verdict = @doctor.verdict
      @out.puts JSON.pretty_generate({ language: 'ruby', version: VERSION, well: well,
                                       verdict: verdict, findings: findings })
    end

    def json_of(check, health, text, remedy, measure, value)
      remedy = nil if remedy.empty?
      finding = { check: check, health: health, text: text, remedy: remedy }
      finding[measure] = value unless measure.empty?
      finding
    end
  end
end
