// Runs before the page is painted, so that a chosen theme does not flash, and that nothing is shown
// before it stands where it stays: shell.js ends `loading`.
{
  document.documentElement.classList.add('loading');
  const theme = localStorage.getItem('theme');
  if (theme) document.documentElement.dataset.theme = theme;
}
