# frozen_string_literal: true

# The program of a Child. Reads code from standard input and writes answers to descriptor 3, since
# libraries may print to standard output.
answers = IO.for_fd(3)
answers.close_on_exec = true

# Only classes that the other process has loaded, too.
PLAIN = lambda do |value|
  case value
  when Array then value.map(&PLAIN)
  when Hash then value.to_h { |name, one| [PLAIN.call(name), PLAIN.call(one)] }
  when String then String.new(value)
  when Integer, Float, Symbol, true, false then value
  end
end

until $stdin.eof?
  answer = begin
    code = Marshal.load($stdin) # rubocop:disable Security/MarshalLoad
    [PLAIN.call(TOPLEVEL_BINDING.eval(code)), nil]
  rescue StandardError, ScriptError => e
    [nil, "#{e.class}: #{e.message}\n#{e.backtrace.first(12).join("\n")}"]
  end
  answers.write(Marshal.dump(answer))
  answers.flush
end
