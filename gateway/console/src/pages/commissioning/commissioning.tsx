/** Page `commissioning`. */
export default function Commissioning() {
  return <section />;
}
