/** Page `statistics`. */
export default function Statistics() {
  return <section />;
}
