// Runs before the page is painted, so that a chosen theme does not flash and nothing moves after it
// is shown: shell.js ends `loading`.
{
  document.documentElement.classList.add('loading');
  const theme = localStorage.getItem('theme');
  if (theme) document.documentElement.dataset.theme = theme;
}
