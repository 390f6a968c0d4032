@echo off
rem Installs the KvmSwitch agent from this disc. It pairs by itself, with the file kvmswitch.join beside this one.
rem Windows asks for permission: the agent is a service. The disc goes away once it has paired, so this is one block,
rem which cmd has read as a whole before it begins.
(
  msiexec.exe /i "%~dp0kvmswitch-agent.msi" /passive
  if errorlevel 1 (
    echo The KvmSwitch agent was not installed. To see why, open kvmswitch-agent.msi on this disc.
    pause
  )
  exit /b
)
