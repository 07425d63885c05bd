// Python's answer for a map that stands elsewhere on the page: small, so that points are not sent
// again with it.

export default function reply({ data }) {
  (window.latentMapReplies ??= {})[data.key] = data;
  window.dispatchEvent(new CustomEvent("latent-map-reply", { detail: data }));
}
