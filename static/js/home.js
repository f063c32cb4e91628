// Home: counts what is unread while one watches.
document.addEventListener("live:entry", e => {
  const card = document.querySelector(`.room-card[data-room="${e.detail.room}"]`), said = card?.querySelector(".last [data-seq]");
  if (!said || +said.dataset.seq !== e.detail.seq || said.dataset.by === card.dataset.by) return;
  const badge = card.querySelector(".n");
  if (!badge.textContent.endsWith("+")) badge.textContent = +(badge.textContent || 0) + 1;
});
