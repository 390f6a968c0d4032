using KvmSwitch.Core;
using KvmSwitch.Daemon.Configuration;
using Xunit;

namespace KvmSwitch.Tests.Configuration;

public sealed class FirmwareFilesTests
{
    [Fact]
    public void BIOS_needs_no_files() => Assert.Null(FirmwareFiles.Find(new FirmwareOptions.Bios(), _ => false));

    [Theory]
    [InlineData("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd", DiskFormat.Raw)]
    [InlineData("/usr/share/edk2/ovmf/OVMF_CODE_4M.qcow2", "/usr/share/edk2/ovmf/OVMF_VARS_4M.qcow2", DiskFormat.Qcow2)]
    [InlineData("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd", DiskFormat.Raw)]
    public void The_distributions_firmware_is_found_where_both_files_are(string code, string variables, DiskFormat format)
    {
        var found = FirmwareFiles.Find(FirmwareOptions.Uefi.Default, file => file == code || file == variables || file == "/usr/share/OVMF/OVMF_CODE.fd");
        Assert.Equal((new(code, variables), format), (found, found!.Format));
    }

    [Fact]
    public void Absent_firmware_is_refused_with_the_way_out() => Assert.Equal(
        "No UEFI firmware was found; install the package ovmf (edk2-ovmf on Fedora and Arch), or set firmware_code and firmware_vars.",
        Assert.Throws<SwitchException>(() => FirmwareFiles.Find(FirmwareOptions.Uefi.Default, _ => false)).Message);

    [Fact]
    public void Configured_firmware_is_taken_or_refused_by_name()
    {
        var uefi = new FirmwareOptions.Uefi("/a", "/b");
        Assert.Equal(new("/a", "/b"), FirmwareFiles.Find(uefi, _ => true));
        Assert.Equal(
            "The UEFI firmware /b is not there; correct firmware_code and firmware_vars in the configuration.",
            Assert.Throws<SwitchException>(() => FirmwareFiles.Find(uefi, file => file == "/a")).Message);
    }
}
