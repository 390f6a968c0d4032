using KvmSwitch.Linux;
using Xunit;

namespace KvmSwitch.Tests.Linux;

public sealed class SystemdUnitTests
{
    [Fact]
    public void The_command_line_of_a_unit_with_a_user_is_exactly_this()
    {
        var spec = new ProcessSpec("vm-windows", "/usr/bin/qemu-system-x86_64", ["-name", "guest=windows", "-device", "x,id=$HOME %h ${PATH}"], "/var/log/kvmswitch/windows.log")
        {
            User = new RunAs("kvmswitch-qemu", "kvm"),
            Environment = ProcessSpecs.Environment("TMPDIR", "/var/tmp"),
        };

        Assert.Equal(
            """
            --unit=kvmswitch-vm-windows.service
            --collect
            --quiet
            --service-type=exec
            --description=KvmSwitch vm-windows
            -p
            StandardInput=null
            -p
            StandardOutput=append:/var/log/kvmswitch/windows.log
            -p
            StandardError=append:/var/log/kvmswitch/windows.log
            -p
            KillMode=mixed
            -p
            SendSIGHUP=no
            -p
            WorkingDirectory=/
            -p
            User=kvmswitch-qemu
            -p
            Group=kvm
            -p
            NoNewPrivileges=yes
            -p
            CapabilityBoundingSet=
            -p
            AmbientCapabilities=
            --setenv=LANG=C.UTF-8
            --setenv=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
            --setenv=TMPDIR=/var/tmp
            --
            /usr/bin/qemu-system-x86_64
            -name
            guest=windows
            -device
            x,id=$$HOME %h $${PATH}
            """,
            string.Join('\n', SystemdUnit.StartArguments(spec)));
    }

    [Fact]
    public void Without_a_user_no_privilege_is_taken_away()
    {
        var arguments = SystemdUnit.StartArguments(new ProcessSpec("vm-a", "/bin/true", [], "/tmp/out"));

        Assert.DoesNotContain(arguments, argument => argument.StartsWith("User=", StringComparison.Ordinal) || argument.StartsWith("Capability", StringComparison.Ordinal));
        Assert.Equal(["--", "/bin/true"], arguments[^2..]);
    }

    [Fact]
    public void The_pid_is_asked_of_the_same_unit() =>
        Assert.Equal(
            ["show", "--property=MainPID", "--value", "kvmswitch-vm-a.service"],
            SystemdUnit.PidArguments(new ProcessSpec("vm-a", "/bin/true", [], "/tmp/out")));
}
