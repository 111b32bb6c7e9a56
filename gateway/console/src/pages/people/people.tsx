/** Page `people`. */
export default function People() {
  return <section />;
}
