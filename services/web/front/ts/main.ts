// What every page brings: partial updates (htmx, with its server-sent events) and the countdown of a hold.
import 'htmx.org';
import 'htmx.org/dist/ext/hx-sse.js';
import { startCountdowns } from './countdown';
import { guessZone, sendOnce } from './forms';
import { holdBackWhileBusy, keepAskingForStreams, leaveAloneWhatPeopleDo } from './live';

keepAskingForStreams();
holdBackWhileBusy();
leaveAloneWhatPeopleDo();
startCountdowns();
sendOnce();
guessZone();
