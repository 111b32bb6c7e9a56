/** Page `channels`. */
export default function Channels() {
  return <section />;
}
