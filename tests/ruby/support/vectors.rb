# frozen_string_literal: true

module DynoscaleTests
  # The cases of tests/vectors, which all suites read.
  module Vectors
    DIRECTORY = File.expand_path('../../vectors', __dir__)
    ESCAPES = { 't' => "\t", 'n' => "\n", 'r' => "\r", '\\' => '\\' }.freeze
    UNIT_NS = { 'whole_s' => 1_000_000_000, 'ms' => 1_000_000, 'us' => 1000, 'ns' => 1 }.freeze

    QueueTime = Struct.new(:name, :start, :queue_start, :body_wait, :expected, :where)
    Answer = Struct.new(:name, :body, :expected, :asked)

    module_function

    def queue_time
      lines('queue_time.tsv').map { |columns| QueueTime.new(*columns) }
    end

    def answers
      lines('answers.tsv').map do |name, body, expected, asked|
        Answer.new(name, bytes(body), expected, asked)
      end
    end

    # A header's bytes, with {UNIT:N} replaced by the moment N ms from now; nil where absent.
    def header(column)
      return if column == '-'

      now_ns = Process.clock_gettime(Process::CLOCK_REALTIME, :nanosecond)
      bytes(column.gsub(/\{(\w+):(-?[\d.]+)\}/) do
        unit, milliseconds = Regexp.last_match.captures
        moment(unit, now_ns + (milliseconds.to_r * 1_000_000).round)
      end)
    end

    # As servers give it: an Integer or a Float; nil where absent.
    def body_wait(column)
      { '-' => nil, 'nan' => Float::NAN, 'inf' => Float::INFINITY }.fetch(column) do
        Integer(column, exception: false) || Float(column)
      end
    end

    def moment(unit, nanoseconds)
      return (nanoseconds / UNIT_NS.fetch(unit)).to_s unless unit == 's'

      (nanoseconds / UNIT_NS.fetch('ms')).to_s.insert(-4, '.')
    end

    def bytes(text)
      text.b.gsub(/\\(?:x(\h\h)|(.))/) do
        hex, letter = Regexp.last_match.captures
        hex ? hex.hex.chr : ESCAPES.fetch(letter)
      end
    end

    def lines(file)
      File.readlines(File.join(DIRECTORY, file), chomp: true, encoding: 'UTF-8')
          .reject { |line| line.empty? || line.start_with?('#') }
          .map { |line| line.split("\t", -1) }
    end
  end
end
