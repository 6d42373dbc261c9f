# Performs the ActiveJob in each payload as a worker does. Answers each line with the positional and the keyword
# arguments of the job, or with the error.
require 'active_job'
require 'json'

ActiveJob::Base.logger = nil

class ReportJob < ActiveJob::Base
  def perform(*positional, **keywords)
    [positional, keywords]
  end
end

STDIN.each_line do |payload|
  answer = begin
    ActiveJob::Base.execute(JSON.parse(payload)['args'].first)
  rescue StandardError => e
    "#{e.class}: #{e.message}"
  end
  puts JSON.generate(answer)
end
