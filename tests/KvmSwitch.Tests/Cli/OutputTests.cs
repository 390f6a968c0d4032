using KvmSwitch.Cli.Output;
using KvmSwitch.Proto.V1;
using Xunit;

namespace KvmSwitch.Tests.Cli;

public sealed class OutputTests
{
    private static readonly TextLayout Wide = new(Width: null, Colour: false);
    private static readonly TextLayout Narrow = new(Width: 80, Colour: false);

    [Fact]
    public void The_state_fits_into_80_columns()
    {
        var text = StateText.Render(Examples.State(), Narrow, Examples.Time());
        Assert.Equal(
            """
            MACHINE  POWER    AGENT  KIND      NOTE
            win      running  0.1.0  managed   QEMU 10.0.2, pid 4321
            old      crashed  none   external  QEMU ended by itself: could not open disk
                                               image

            DEVICE    CLASS    WHERE   OWNER  NOTE
            keyboard  hid      win     win    1-4, 046d:c31c
            mouse     hid      win     win    until 21:26:02, 1m40s left
            audio     audio    absent  host   no device is plugged into port 1-5; plug it
                                              in, or change 'port' in the configuration
            stick     storage  moving  win    handoff h-17 under way

            SET   DEVICES
            desk  keyboard, mouse

            """,
            text);
    }

    [Fact]
    public void Where_no_terminal_is_every_row_is_one_line()
    {
        var text = StateText.Render(Examples.State(), Wide, Examples.Time());
        Assert.Contains("audio     audio    absent  host   no device is plugged into port 1-5; plug it in, or change 'port' in the configuration\n", text);
    }

    [Fact]
    public void Nothing_configured_shows_nothing() =>
        Assert.Empty(StateText.Render(new State(), Narrow, Examples.Time()));

    [Fact]
    public void Colours_do_not_move_columns()
    {
        var table = new Table("A", "B");
        table.Add(new Cell("crashed", Ink.Red), "x");
        table.Add("off", "y");
        Assert.Equal("\e[2mA\e[0m        \e[2mB\e[0m\n\e[31mcrashed\e[0m  x\noff      y\n", table.Render(new TextLayout(80, Colour: true)));
    }

    [Fact]
    public void A_table_wraps_only_where_there_is_room_and_keeps_long_words_whole()
    {
        var table = new Table("A", "N");
        table.Add("abc", "one two three-is-a-very-long-word");
        Assert.Equal("A    N\nabc  one two three-is-a-very-long-word\n", table.Render(new TextLayout(12, Colour: false)));
        Assert.Contains("abc  one two\n     three-is-a-very-long-word\n", table.Render(new TextLayout(24, Colour: false)));
    }

    [Fact]
    public void A_handoff_is_one_line()
    {
        Assert.Equal("keyboard, mouse: host → win   412 ms\n", HandoffText.Render(Examples.Handoff(), steps: false, Narrow));
        var slow = Examples.LostLease();
        slow.From.Add("old");
        Assert.Equal("keyboard: win, old → host   2103 ms\n", HandoffText.Render(slow, steps: true, Narrow));
    }

    [Fact]
    public void Steps_follow_below_when_wanted() => Assert.Equal(
        """
        keyboard, mouse: host → win   412 ms
          AT MS  TOOK  STEP     DEVICE
            0.4   182  attach   keyboard
            182   230  confirm  keyboard: late

        """,
        HandoffText.Render(Examples.Handoff(), steps: true, Narrow));

    [Theory, InlineData("host", "keyboard: already home\n"), InlineData("win", "keyboard: already with win\n")]
    public void What_was_there_already_is_said_so(string to, string expected) => Assert.Equal(
        expected, HandoffText.Render(new Handoff { Devices = { "keyboard" }, From = { to }, To = to, Outcome = "unchanged" }, steps: false, Narrow));

    [Fact]
    public void History_has_the_newest_last() => Assert.Equal(
        """
        WHEN            BY     MOVE        OUTCOME    MS  DEVICES
        11-22 21:24:22  cli    host → win  done      412  keyboard, mouse
        11-22 21:24:52  lease  win → host  failed   2103  keyboard: the guest did not
                                                          let go within 2 s

        """,
        HandoffText.History([Examples.LostLease(), Examples.Handoff()], Narrow, Examples.Zone));

    [Fact]
    public void A_guest_cannot_steer_our_terminal() => Assert.Equal(
        """
        GUEST   MACHINE  STATE      EXPIRES     NAME
        3f09a1  win      connected  2027-11-22  DESKTOP�[2J
        77      old      revoked
        In 'win' the hotkey ctrl+alt+h does not work: another program�[2J has it.

        """,
        GuestText.Render(Examples.Guests().Guests, Narrow, Examples.Zone));

    [Fact]
    public void Arguments_can_be_pasted_into_a_shell() => Assert.Equal(
        "/usr/bin/qemu-system-x86_64 \\\n  -name win \\\n  -device 'usb-kbd,id=it'\\''s' \\\n  -nodefaults\n",
        ShellText.Render(Examples.Arguments()));

    [Theory, InlineData("", "''"), InlineData("a b", "'a b'"), InlineData("$HOME", "'$HOME'"), InlineData("/dev/sr0,x=1", "/dev/sr0,x=1")]
    public void Words_are_quoted_only_where_a_shell_needs_it(string word, string quoted) => Assert.Equal(quoted, ShellText.Quote(word));
}
