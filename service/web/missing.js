// The page for an address that does not exist. It is also shown without signing in.

import { bareFrame } from './shell.js';

bareFrame();
