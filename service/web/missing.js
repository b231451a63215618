// The page for an address that there is not. Whoever is not signed in sees it too.

import { bareFrame } from './shell.js';

bareFrame();
